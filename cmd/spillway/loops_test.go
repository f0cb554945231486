package main

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestComputingOnOneProcessor: a command that computes without an end, sent when all has
// been idle for a while, holds up nobody else: an event loop gets its seat back though it has
// the only processor, and so does a goroutine.
func TestComputingOnOneProcessor(t *testing.T) {
	t.Parallel()
	for _, loops := range []string{"0", "1"} {
		t.Run("event-loops "+loops, func(t *testing.T) {
			if loops != "0" && runtime.GOOS != "linux" {
				t.Skip("event loops are Linux's")
			}
			t.Parallel()
			d := launchBy(t, func(cmd *exec.Cmd) error {
				cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
				return cmd.Start()
			}, binary, "--dir", t.TempDir(), "--save", "", "--event-loops", loops)
			d.waitReady()
			computes, other := d.dial(), d.dial()
			for range 3 {
				other.ask("PING")
				time.Sleep(500 * time.Millisecond) // until the watchdog sleeps: the test holds without, and finds less
				computes.send("EVAL \"while true do end\" 0\r\n")
				d.waitFor("the script to be ended", func() bool { return other.ask("SCRIPT KILL") == `"OK"` })
				if got := computes.reply(); !strings.Contains(got, "killed by user") {
					t.Fatalf("the script ends with %s", got)
				}
			}
			if lost := d.info("spillway_event_loop_seats_lost"); loops != "0" && lost == "0" {
				t.Errorf("seats lost: %s", lost)
			}
		})
	}
}
