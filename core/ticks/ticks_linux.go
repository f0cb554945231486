//go:build amd64 || arm64

package ticks

import (
	"os"
	"strings"
	"sync"
)

// usable tells whether the counter is what the kernel's clock counts by.
var usable = sync.OnceValue(func() bool {
	name, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource") //nolint:forbidigo // the kernel's word, no data
	return err == nil && strings.TrimSpace(string(name)) == clockSource
})

// count is the counter.
func count() uint64
