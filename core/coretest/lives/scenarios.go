package lives

import (
	"os"
	"slices"
	"strings"
	"testing"
)

type scenario struct{ name, script string }

// scenarios are the ways in which lives and daemons meet at one place. Daemon 0
// is there first.
var scenarios = []scenario{
	{"the disk is lost", `
		0 start; 0 write; 0 save; 0 write; 0 save; 0 write; 0 save; 0 lose
		0 start; 0 start adopt; 0 write; 0 save; 0 save; 0 write; 0 save`},
	{"the disk is lost, the sink is best effort", `
		0 config 1 besteffort none log last=1; 0 start; 0 write; 0 save; 0 write; 0 save; 0 lose
		0 start; 0 start adopt; 0 fault put 2; 0 write; 0 save; 0 drain; 0 save; 0 drain`},
	{"the disk is rolled back", `
		0 start; 0 write; 0 save; 0 keep; 0 write; 0 save; 0 write; 0 save; 0 back
		0 start; 0 start adopt; 0 write; 0 save; 0 save; 0 save; 0 kill 0; 0 back; 0 start; 0 start adopt; 0 write; 0 save`},
	{"a copy runs beside the original", `
		0 config 2 required archive log last=1; 1 config 2 required archive log last=1
		0 start; 0 write; 0 save; 1 copy 0; 1 start; 0 write; 0 save; 1 write; 1 save; 1 drain
		0 write; 0 save; 1 write; 1 save; 0 drain; 0 save; 1 save`},
	{"a restored copy runs beside the original", `
		0 start; 0 write; 0 save; 1 restore; 1 start; 1 write; 1 save; 0 write; 0 save; 1 write; 1 save; 1 kill 0; 1 start`},
	{"two daemons share the sink", `
		0 config 2 required archive log last=1; 1 config 2 required archive log last=1
		0 start; 1 start; 0 write; 0 save; 1 start; 1 start adopt; 1 write; 1 save; 0 save; 1 save; 0 drain; 1 drain; 0 save; 1 save`},
	{"a copy publishes under a number that the original has used", `
		0 start; 2 start; 0 write 1; 0 copy 2; 0 start; 0 save; 0 save; 0 config 2 required archive log last=1; 0 start
		2 save; 0 race 1; 0 write 2`},
	{"numbers collide", `
		0 start; 1 start; 0 write; 1 write; 0 race 1; 0 race 1; 0 fault publish 1; 0 race 1; 1 fault publish 1 late; 0 race 1; 0 race 1`},
	{"a process dies before it has published", `
		0 start; 1 start; 0 write; 0 fault publish 1 dies; 0 save; 1 write; 1 save; 1 save; 0 start; 0 start adopt; 0 write; 0 save`},
	{"another's set has the number that is owed", `
		1 config 1 besteffort none log last=2; 0 start; 1 start; 0 write; 0 save; 1 write; 1 fault put 4; 1 save; 1 drain; 1 write; 1 save`},
	{"an old life comes back", `
		0 start; 0 write; 0 save; 0 keep; 0 write; 0 save; 0 restore; 0 start; 0 write; 0 save; 0 back
		0 start; 0 write; 0 save; 0 start adopt; 0 write; 0 save; 0 save`},
	{"clocks differ and are set back", `
		0 config 1 required archive log last=1; 1 config 1 required none log last=1,hourly=2; 1 clock -3000
		0 start; 1 start; 0 write; 0 save; 1 write; 1 save; 0 clock -500; 0 write; 0 save; 0 drain; 1 clock 9000; 1 save; 1 clock -100; 1 save; 1 save; 0 save`},
	{"the sink is swapped for another's", `
		0 start; 0 write; 0 save; 1 swap 1; 1 start; 1 write; 1 save; 1 write; 1 save; 1 swap 0; 1 start; 1 start adopt; 1 write; 1 save; 1 save
		0 write; 0 save; 1 swap 1; 1 start; 1 save`},
	{"calls fail, processes are killed", `
		0 start; 0 write; 0 save; 0 fault publish 1; 0 write; 0 save; 0 fault publish 1 late; 0 save; 0 fault remove 2 late; 0 save; 0 save
		0 kill 1 30; 0 write; 0 save; 0 start; 0 write; 0 save; 0 kill 5 45; 0 save; 0 save; 0 start; 0 save`},
}

func script(s string) string { return strings.ReplaceAll(s, ";", "\n") }

// Test plays what lives and daemons do to one place, on the stores that mk
// makes, and brings one of all that an engine can hold back from there: whoever keeps
// sets has to pass it. For a store of your own:
//
//	func TestLives(t *testing.T) {
//		lives.Test(t, func(t testing.TB) lives.Store {
//			return lives.Store{Open: func() sink.Sink { return open(t) }}
//		})
//	}
func Test(t *testing.T, mk Make) {
	t.Run("everything comes back", func(t *testing.T) { everything(t, mk) })
	run(t, mk, scenarios)
}

// TestBrief is Test for stores that take their time: the disk is lost and rolled
// back, daemons share the place, numbers collide. SPILLWAY_LAB=long plays all.
func TestBrief(t *testing.T, mk Make) {
	if long() {
		Test(t, mk)
		return
	}
	t.Run("everything comes back", func(t *testing.T) { everything(t, mk) })
	run(t, mk, named(t, "the disk is lost", "a copy runs beside the original", "numbers collide", "a process dies before it has published"))
}

// TestScenarios plays the named scenarios, for one of several stores behind the same
// code, of which another has TestBrief. SPILLWAY_LAB=long plays all that Test does.
func TestScenarios(t *testing.T, mk Make, names ...string) {
	if long() {
		Test(t, mk)
		return
	}
	run(t, mk, named(t, names...))
}

func long() bool { return os.Getenv("SPILLWAY_LAB") == "long" }

// named are the scenarios of these names, each of which there must be.
func named(t *testing.T, names ...string) (some []scenario) {
	t.Helper()
	for _, name := range names {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			t.Fatalf("no scenario %q", name)
		}
		some = append(some, scenarios[i])
	}
	return some
}

func run(t *testing.T, mk Make, scenarios []scenario) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			steps, err := parseScript(script(s.script))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := play([]Store{mk(t), mk(t)}, steps); err != nil {
				t.Error(err)
			}
		})
	}
}
