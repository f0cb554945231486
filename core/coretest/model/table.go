package model

import (
	"maps"
	"strconv"
)

// command is one entry of the table.
type command struct {
	least  int // arguments, the name included
	writes bool
	run    func(k *call) Reply
}

// commands is every command the model knows, by lower-case name.
var commands = map[string]command{}

func init() {
	for _, group := range []map[string]command{stringCommands(), keyCommands(), listCommands(), hashCommands(), fieldCommands(), setCommands(), zsetCommands(), streamCommands(), bitCommands(), geoCommands(), scriptCommands(), blockingCommands()} {
		maps.Copy(commands, group)
	}
}

func (k *call) int(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	k.require(err == nil, errInteger)
	return n
}

func (k *call) float(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	k.require(err == nil, errFloat)
	return f
}

// span turns Redis's inclusive range, negative from the end, into Go's.
func span(start, stop int64, n int) (from, to int) {
	if start < 0 {
		start = max(start+int64(n), 0)
	}
	if stop < 0 {
		stop += int64(n)
	}
	stop = min(stop, int64(n)-1)
	if start > stop {
		return 0, 0
	}
	return int(start), int(stop) + 1
}
