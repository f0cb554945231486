// Package persist keeps a keyspace: on the disk of the engine, and on sinks
// beside it.
package persist
