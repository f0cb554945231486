// Package crashtest shows how a program tests what it relies on: a scenario, run
// again and again with the power lost, or the disk failing, at every single
// operation. It is all in crash_test.go.
package crashtest
