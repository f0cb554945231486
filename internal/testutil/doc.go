// Package testutil is what the tests of several packages share: a clock that a test
// moves, a buffer that is read while it is written, and the one way to wait for what
// tells nobody. It knows no package of the module, so that the tests of all may use
// it.
package testutil
