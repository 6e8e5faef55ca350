import { Controller, type DynamicModule, Get, Module } from '@nestjs/common';
import { AuthplaneModule, Claims, Scopes, type VerifiedClaims } from 'authplane-nestjs';

@Controller('events')
class EventsController {
  @Get()
  @Scopes('calendar.read')
  today(@Claims() claims: VerifiedClaims): string {
    const via = claims.act?.sub ?? claims.clientId;
    return `09:00 Stand-up, 14:00 Dentist (calendar of ${claims.sub}, read by ${via})`;
  }
}

/** Another service of the same authorization server: it takes tokens for itself only. */
@Module({ controllers: [EventsController] })
export class CalendarModule {
  static with(issuer: string, calendarUrl: string): DynamicModule {
    return {
      module: CalendarModule,
      imports: [
        AuthplaneModule.forRoot({
          issuer,
          resource: calendarUrl,
          scopes: ['calendar.read'],
          devMode: true,
          inboundDPoP: {},
          guard: 'global',
        }),
      ],
    };
  }
}
