// Package crashtest shows how a program tests what it relies on: write, lose
// power, reopen, assert. It is all in crash_test.go.
package crashtest
