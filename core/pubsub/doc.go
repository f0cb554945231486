// Package pubsub knows who has subscribed to what, and hands messages on.
//
// A Hub has channels, patterns of channel names, and shard channels, which are
// names of their own and match no pattern. A Subscriber is one who listens: a
// client's connection, or a program that embeds the engine. A message is handed to
// those who have subscribed when it is published, and to nobody later; a
// subscriber takes it without waiting; what becomes of it then, and how much may
// wait, is the subscriber's own affair.
//
// # Order
//
// What is published to one channel reaches all who have subscribed to it in the
// same order. What one publisher publishes, to any channels, reaches everybody in
// the order in which it was published. Once a subscription has ended nothing more
// comes of it.
//
// # Locks
//
// Names are spread over buckets, each with a lock, which is held while a message
// of one of its channels is handed out. Patterns have one lock, held for reading
// and only where there are any patterns. A subscriber is called under these locks:
// it must not call the Hub. They may be taken under the lock of a shard, and nothing
// of the engine is locked under them.
package pubsub
