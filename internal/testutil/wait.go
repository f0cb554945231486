package testutil

import (
	"testing"
	"time"
)

// Patience is how long anything may take before it counts as hung. No test asserts
// anything about time with it.
const Patience = 2 * time.Minute

// Eventually returns when ok does, and fails the test when it does not within
// [Patience]. It is for what tells nobody that it has happened: where there is an
// event, wait for that.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
