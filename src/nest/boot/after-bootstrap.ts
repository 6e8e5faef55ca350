import { Injectable, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';

/**
 * Runs what may fail the boot when every other `onApplicationBootstrap` of the application has run: host
 * libraries fill their tables there.
 *
 * Nest calls hooks module by module, the farthest from the root first, and global modules before all;
 * only the distance of this module is changed.
 */
@Injectable()
export class AfterBootstrap implements OnApplicationBootstrap {
  #task: () => void = () => undefined;

  constructor(modules: ModulesContainer) {
    for (const module of modules.values()) {
      if (module.metatype === AfterBootstrapModule) module.distance = -1;
    }
  }

  run(task: () => void): void {
    this.#task = task;
  }

  onApplicationBootstrap(): void {
    this.#task();
  }
}

@Module({ providers: [AfterBootstrap], exports: [AfterBootstrap] })
export class AfterBootstrapModule {}
