package sink

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Kind says what a part holds.
type Kind string

// The kinds of parts.
const (
	// KindSnapshot is one shard's view as an RDB file.
	KindSnapshot Kind = "snapshot"
	// KindRewrite is one shard's view as the RESP commands that rebuild it.
	KindRewrite Kind = "rewrite"
	// KindSegment is a sealed log segment on its way to an archive.
	KindSegment Kind = "segment"
)

// Valid tells whether k is one of the known kinds.
func (k Kind) Valid() bool {
	return k == KindSnapshot || k == KindRewrite || k == KindSegment
}

// ext is the file extension of the kind before any stage.
func (k Kind) ext() string {
	if k == KindSnapshot {
		return ".rdb"
	}
	return ".aof"
}

// Part names one piece of work: the bytes of one shard in one generation.
type Part struct {
	// Job is the engine's number for the run that writes the part. It is for
	// logs; it does not outlive the process that drew it.
	Job uint64 `json:"job,omitempty"`
	// Kind says what the bytes are.
	Kind Kind `json:"kind"`
	// Generation is the number of the set the part belongs to.
	Generation uint64 `json:"generation"`
	// Token is what tells that set from others of its number; see SetID.
	Token string `json:"token,omitempty"`
	// Shard is the part's index among Shards.
	Shard int `json:"shard"`
	// Shards is how many parts the whole set has.
	Shards int `json:"shards"`
	// Name is the file name, stage suffixes included, e.g.
	// "shard-0003.rdb.zst". It is unique within its set; see CheckName.
	Name string `json:"name"`
}

// ID is the set the part belongs to.
func (p Part) ID() SetID { return SetID{Generation: p.Generation, Kind: p.Kind, Token: p.Token} }

// Info describes a stage or a sink.
type Info struct {
	// Name is what configuration, manifests and errors call it: "zstd".
	Name string `json:"name"`
	// Version is recorded beside what it wrote.
	Version string `json:"version"`
	// Suffix is appended to the file name by a stage: ".zst". Sinks have none.
	Suffix string `json:"suffix,omitempty"`
}

// Receipt is what a stage or a sink wants back when a part is read: a nonce, a
// key id, an ETag. It is opaque, is kept in the manifest and may be at most
// MaxReceipt bytes.
type Receipt []byte

// MaxReceipt bounds the size of a receipt.
const MaxReceipt = 64 << 10

// A Stage transforms the bytes of one part, and can undo it.
//
// Returning nil after reading src to io.EOF is the only success; a nil before
// that is an error in the pipeline's eyes. Neither src nor dst may be used
// after the return. When ctx is cancelled src and dst begin to fail and the
// call must return soon. A stage is used for several parts at once.
type Stage interface {
	// Info describes the stage. It never changes during its life.
	Info() Info
	// Encode writes the transformed bytes of src to dst, to the last one.
	Encode(ctx context.Context, p Part, dst io.Writer, src io.Reader) (Receipt, error)
	// Decode undoes Encode, given the receipt Encode returned. src is not
	// trusted: damaged or hostile bytes are an error, never a panic.
	Decode(ctx context.Context, p Part, r Receipt, dst io.Writer, src io.Reader) error
}

// A Sink keeps parts. Put makes a part durable yet invisible; Publish makes a
// complete set visible, last and atomically. A sink is used for several parts
// at once.
//
// Several engines may use one place: lives of a data directory, one after the
// other, and daemons that do not know of each other. Every call is about the
// set of exactly that SetID, token included; another set of the same number is
// somebody else's, and nothing that happens to the one may touch the other.
type Sink interface {
	// Info describes the sink. It never changes during its life.
	Info() Info
	// Put stores the bytes of src durably, without making them visible.
	// Returning nil after reading src to io.EOF is the only success: any
	// other end of src means that what was stored is worth nothing. Putting
	// a part again before its set is published replaces it; when the set is
	// published already, that is an error that wraps os.ErrExist, and the set
	// stays as it is.
	Put(ctx context.Context, p Part, src io.Reader) (Receipt, error)
	// Publish makes the set visible to List, atomically and durably. Every
	// part was put before; each SetPart carries this sink's receipt.
	Publish(ctx context.Context, s Set) error
	// Open reads a part, published or not, given the receipt of its Put. An
	// absent part is an error that wraps os.ErrNotExist.
	Open(ctx context.Context, p Part, r Receipt) (io.ReadCloser, error)
	// List returns the published sets, lowest generation first. Sets that
	// cannot be read do not hide the others: they come back as an error
	// beside the sets that can.
	List(ctx context.Context) ([]Set, error)
	// Remove deletes a set, published or only staged; making it invisible
	// comes first. A set that is not there is a success.
	Remove(ctx context.Context, id SetID) error
}

// Sweeper is implemented by sinks that can find what crashed jobs staged and
// never published.
type Sweeper interface {
	// Sweep removes the staged sets for which keep says false and returns
	// their names. Published sets are never touched.
	Sweep(ctx context.Context, keep func(SetID) bool) (removed []string, err error)
}

// StageRecord names a stage that bytes went through.
type StageRecord struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// SetPart is one stored part and all that is needed to read and check it.
type SetPart struct {
	Part Part `json:"part"`
	// Bytes is the stored size, after all stages.
	Bytes int64 `json:"bytes"`
	// RawBytes is what the encoder wrote.
	RawBytes int64 `json:"raw_bytes"`
	// SHA256 is the hex digest of the stored bytes.
	SHA256 string `json:"sha256"`
	// RawSHA256 is the hex digest of what the encoder wrote.
	RawSHA256 string `json:"raw_sha256"`
	// Stages are the stages the bytes went through, in order of encoding.
	Stages []StageRecord `json:"stages,omitempty"`
	// StageReceipts has one receipt for each of Stages.
	StageReceipts []Receipt `json:"stage_receipts,omitempty"`
	// SinkReceipt is the receipt of the sink this record is read from: the
	// local one in a manifest, a target's own in what it publishes.
	SinkReceipt Receipt `json:"sink_receipt,omitempty"`
	// TargetReceipts holds the receipt of each further sink that has the
	// part, by target name. A target that is not named does not have it.
	TargetReceipts map[string]Receipt `json:"target_receipts,omitempty"`
	// Keys is what the encoder counted.
	Keys int64 `json:"keys"`
}

// CheckSize is the damage of a part of which n stored bytes were found, nil if that
// is what sp records.
func (sp *SetPart) CheckSize(n int64) error {
	switch {
	case n < sp.Bytes:
		return &CorruptError{Offset: n, Err: fmt.Errorf("it ends there, %d bytes are recorded", sp.Bytes)}
	case n > sp.Bytes:
		return &CorruptError{Offset: sp.Bytes, Err: fmt.Errorf("there are more, %d bytes are recorded", sp.Bytes)}
	}
	return nil
}

// CheckSum is the damage of a part whose stored bytes have this SHA-256, in hex, nil
// if that is what sp records.
func (sp *SetPart) CheckSum(sum string) error {
	if sum == sp.SHA256 {
		return nil
	}
	return &CorruptError{End: sp.Bytes, Err: fmt.Errorf("SHA-256 %s is recorded, they have %s", sp.SHA256, sum)}
}

// Set is one complete checkpoint: all its parts, and how to undo the stages.
type Set struct {
	ID        SetID         `json:"id"`
	CreatedAt time.Time     `json:"created_at"`
	Stages    []StageRecord `json:"stages,omitempty"`
	Parts     []SetPart     `json:"parts"`
	// CreatedBy names the program that wrote the set.
	CreatedBy string `json:"created_by,omitempty"`
	// Meta is room for the engine: facts it wants back with the set.
	Meta map[string]string `json:"meta,omitempty"`
}

// Clone returns a deep copy.
func (s *Set) Clone() *Set {
	if s == nil {
		return nil
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("sink: set %v does not marshal: %v", s.ID, err)) // only a year beyond 9999 can do that
	}
	var c Set
	if err := json.Unmarshal(b, &c); err != nil {
		panic(fmt.Sprintf("sink: set %v does not unmarshal: %v", s.ID, err))
	}
	return &c
}

// Keys is the number of keys in all parts.
func (s *Set) Keys() (n int64) {
	for i := range s.Parts {
		n += s.Parts[i].Keys
	}
	return n
}

// Bytes is the stored size of all parts.
func (s *Set) Bytes() (n int64) {
	for i := range s.Parts {
		n += s.Parts[i].Bytes
	}
	return n
}

// RawBytes is the size of all parts before the stages.
func (s *Set) RawBytes() (n int64) {
	for i := range s.Parts {
		n += s.Parts[i].RawBytes
	}
	return n
}

// Target is a sink beside the local one, and what its failure means.
type Target struct {
	// Name is what errors, statistics and receipts call it; unique in its
	// pipeline.
	Name string
	// Sink is where the bytes go.
	Sink Sink
	// Required targets fail the job when they fail. The others are logged,
	// counted and fed again by Pipeline.Retry.
	Required bool
	// Timeout bounds each call of the sink (one part's Put, one Publish), but
	// for what Hold adds to it; 0 means no bound of its own.
	Timeout time.Duration
	// Keep is what Pipeline.Prune leaves there; the zero value keeps all.
	Keep Retention
}

// Progress counts what a job has done so far. Its methods may be called from
// any goroutine; several parts share one.
type Progress struct {
	// Keys is counted by the encoder, not by the pipeline.
	Keys atomic.Int64
	// RawBytes is what encoders wrote.
	RawBytes atomic.Int64
	// StoredBytes is what came out of the last stage.
	StoredBytes atomic.Int64
}

// StageStats is what one member of a pipeline has done since it was made.
type StageStats struct {
	// Name is the stage's or the target's; "encoder" and "local" are the
	// two ends every pipeline has.
	Name string
	// Role is "encoder", "stage", "local", "required" or "best-effort".
	Role string
	// Parts that were finished without an error.
	Parts int64
	// BytesIn and BytesOut are what was read and written, failed parts
	// included. A sink writes nothing here, an encoder reads nothing.
	BytesIn, BytesOut int64
	// Nanoseconds is the time spent working: waiting for the neighbours in
	// the pipeline is not counted.
	Nanoseconds int64
	// Errors is the number of parts and publications that failed.
	Errors int64
	// Retried is the number of sets that reached a best-effort target by
	// Retry.
	Retried int64
	// Pending is the number of sets that wait for Retry, and Behind when the
	// oldest of them was created.
	Pending int
	Behind  time.Time
	// Stuck is the number of calls that did not return when they were
	// cancelled and are still running.
	Stuck int64
}

// Throughput is the bytes per second the member handles while it works: of
// input for stages and sinks, of output for the encoder. 0 means unknown.
func (s StageStats) Throughput() float64 {
	n := s.BytesIn
	if s.Role == RoleEncoder {
		n = s.BytesOut
	}
	if s.Nanoseconds <= 0 {
		return 0
	}
	return float64(n) * 1e9 / float64(s.Nanoseconds)
}

// The roles of StageStats.
const (
	RoleEncoder    = "encoder"
	RoleStage      = "stage"
	RoleLocal      = "local"
	RoleRequired   = "required"
	RoleBestEffort = "best-effort"
)
