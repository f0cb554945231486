// Package tracking knows which clients may have which keys in a cache of their
// own, and tells them when those change (CLIENT TRACKING, see
// https://redis.io/docs/latest/develop/use/client-side-caching/).
//
// A client is tracked in one of two ways. By default the Table remembers every
// key that it reads, by name and whatever the database, until the key changes and
// the client is told, once. In broadcasting mode nothing is remembered: the client
// is told of every change of a key that begins with one of its prefixes.
//
// # Locks
//
// What is remembered of a key is guarded by the lock of its shard, which the
// callers of Remember, Invalidate and Limit hold, and Flush those of all. Prefixes have
// a lock of their own, which is taken behind those. A Receiver is called under all of
// them: it must not wait, and must not call the table.
package tracking
