// Package fstest is the conformance suite of filesystem backends.
//
// It owns what every backend must do alike, written down as tests: a backend's
// own test is one call of Run. What only a backend can know (crashes, faults,
// containment of links) is tested where it lives.
//
// It refuses to weaken a rule for a backend: a promise that Caps does not make
// is not tested, one that it makes is.
package fstest
