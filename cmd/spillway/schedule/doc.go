// Package schedule does things at set times: a [Schedule] is a cron expression in a
// time zone, and a [Scheduler] runs jobs by them.
//
// Expressions are cron's five fields, as in "0 3 * * *", or one of @hourly, @daily
// (@midnight), @weekly, @monthly and @yearly (@annually). Where clocks change, they are
// followed as by the cron of Debian:
//
//	03:00 ┄ 02:30 does not exist ┄▶ a job of that time runs at the end of the gap, once
//	03:00 ┄ 02:30 comes twice    ┄▶ a job of that time runs the first time only
//	an hour field that begins with * goes by the time that passes: "*/30 * * * *" is
//	every half hour, on such days too
//
// Two runs of one job never overlap, and what was due while nobody watched (the process
// did not run) is not made up for. It knows no engine and reads no clock but the one it
// is given.
package schedule
