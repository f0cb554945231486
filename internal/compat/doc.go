// Command compat runs the official tests of Redis 7.0 against this daemon, and
// holds what passes against two lists that are checked in: what a redis-server
// 7.0.15 passes under the same runner, and what the daemon passed before.
//
//	go build -o bin/ ./internal/compat
//	bin/compat                        # every unit; exit status 1 when one that passed fails
//	bin/compat unit/scan unit/expire  # these
//	bin/compat -v unit/scan           # and what failed in them, with the reason
//	bin/compat --update               # adds what passes now to the list
//	bin/compat --profile full --reference --update   # what redis-server passes
//
// A unit is a file of the suite. Each has a daemon of its own, with an empty data
// directory, and a Tcl interpreter of its own, which runs harness.tcl: it loads
// the suite as it is, in its mode for a server that runs already, and reports
// each test as a line. In the profile started the suite starts the servers itself,
// and only the tests run that need it to; what it takes for redis-server is then
// this program (standin.go), which becomes the daemon. Nothing of the suite is
// changed on disk, no test is treated differently from another, and none is left
// out but by a profile, which says why (profile.go). What harness.tcl does in
// addition:
//
//   - A reply that does not come within a limit fails its test. Without that it
//     would hold up the whole unit.
//   - After a failed test the client is a new one, since the old one may be in a
//     transaction, or have replies outstanding; those that the test has made are
//     closed, since one that is still blocked would be served in the tests behind it.
//   - What a block of tests prepares (SELECT, FLUSHALL, FUNCTION FLUSH, CONFIG SET)
//     may fail: that fails the tests that need it, not all that follow.
//
// Some tests of the suite fail now and then on any server, as they measure time.
// So a unit in which a test fails that passed before is run again, twice at most,
// and what passes in any of the runs has passed. The report names those.
//
// Redis's source is what apt-get source downloads, by its SHA-256 (suite.go).
package main
