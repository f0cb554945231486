// Package tracing tells a collector of OpenTelemetry how checkpoints went: a trace of each,
// over OTLP/HTTP.
//
//	checkpoint                kind, generation, keys, bytes; what it failed of
//	├─ rotate
//	├─ cut
//	│  └─ freeze              the time in which no command ran
//	├─ encode
//	│  └─ shard 0, 1, …       keys, bytes
//	│     ├─ encode encoder   what each member has read and written, and how long
//	│     ├─ encode zstd      it was busy: all of a part run at the same time
//	│     ├─ put local
//	│     ├─ verify local
//	│     └─ put offsite
//	├─ publish
//	│  └─ publish offsite, local
//	├─ commit
//	└─ prune                  after the others: nobody waits for it
//
// No checkpoint waits for a collector. Spans wait in a queue of bounded length, from which
// they are sent in batches; what does not fit is dropped and counted, and a collector that
// does not answer is said once, and once more when it does again. The environment variables
// of OpenTelemetry count for what the options leave open. Headers may hold secrets, and are
// in no error and no line of the log.
package tracing
