import { readFile } from 'node:fs/promises';
import { Controller, Get, Header, Inject, type MessageEvent, Sse } from '@nestjs/common';
import { distinctUntilChanged, map, type Observable, startWith } from 'rxjs';
import { type LiveParts, liveParts, page, type PageSettings } from './views.js';
import { Watch } from './watch.js';

/** Injection token of the settings. */
export const PAGE_SETTINGS = Symbol('settings of the page');

/** Nothing but what this server sends, and never inside of another page. */
const POLICY =
  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** What is not compiled lies beside the sources. */
const FOLDER = new URL('.', import.meta.url.replace('/sample-app/dist/', '/sample-app/'));

/**
 * A page for operators, without a build step: HTML, one style sheet, and a script that puts in what is new.
 * Whoever reaches this port sees it, without signing in: in an application of yours guard it, or serve it on
 * a port that only operators reach.
 */
@Controller()
export class PageController {
  constructor(
    private readonly watch: Watch,
    @Inject(PAGE_SETTINGS) private readonly settings: PageSettings,
  ) {}

  @Get()
  @Header('Content-Type', 'text/html; charset=utf-8')
  @Header('Content-Security-Policy', POLICY)
  @Header('Cache-Control', 'no-store')
  @Header('Referrer-Policy', 'no-referrer')
  @Header('X-Content-Type-Options', 'nosniff')
  @Header('Cross-Origin-Resource-Policy', 'same-origin')
  page(): string {
    return page(this.settings, this.#parts());
  }

  @Get('page.css')
  @Header('Content-Type', 'text/css; charset=utf-8')
  @Header('X-Content-Type-Options', 'nosniff')
  style(): Promise<string> {
    return readFile(new URL('page.css', FOLDER), 'utf8');
  }

  @Get('page.js')
  @Header('Content-Type', 'text/javascript; charset=utf-8')
  @Header('X-Content-Type-Options', 'nosniff')
  script(): Promise<string> {
    return readFile(new URL('page.js', FOLDER), 'utf8');
  }

  @Sse('live')
  @Header('Cross-Origin-Resource-Policy', 'same-origin')
  live(): Observable<MessageEvent> {
    return this.watch.ticks.pipe(
      startWith(undefined),
      map(() => this.#parts()),
      map(({ upstreams, decisions }) => ({ upstreams: upstreams.text, decisions: decisions.text })),
      distinctUntilChanged((one, other) => JSON.stringify(one) === JSON.stringify(other)),
      map((data) => ({ data })),
    );
  }

  #parts(): LiveParts {
    return liveParts(this.watch.upstreams, this.watch.decisions);
  }
}
