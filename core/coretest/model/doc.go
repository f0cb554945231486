// Package model is what Spillway's commands mean, written a second time and as
// simply as possible: Go maps, nothing shared with the engine. Tests run the
// same commands on both and compare.
//
// It owns three things. State is the contents of all databases at one instant;
// a command makes a new one of it. Client is a connection: the selected
// database and the transaction being queued. History is what a disk may hold
// after a crash: the states the engine went through since the last one that
// was promised to be durable.
//
// It refuses to guess: a command that it does not know is ErrUnknown, and one
// with a random effect (SPOP) has every possible outcome. Error replies are
// compared by their code alone; their wording is tested in core/command. It
// knows nothing of files, shards or time beyond the "now" it is given.
package model
