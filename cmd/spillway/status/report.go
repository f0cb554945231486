package status

import (
	"time"

	"github.com/spillwaydb/spillway/core/backup"
)

// Report is how a daemon stands. All of its counters are since the daemon's start, or
// since CONFIG RESETSTAT.
type Report struct {
	At    time.Time `json:"at"`
	State State     `json:"state"`
	// Serving tells whether clients are served, writes included, whatever else is wrong:
	// what /healthz says.
	Serving  bool      `json:"serving"`
	Problems []Problem `json:"problems"`

	Server  Server    `json:"server"`
	Loading *Loading  `json:"loading,omitempty"`
	Traffic Traffic   `json:"traffic"`
	Latency []Latency `json:"latency"`
	// Commands are those that have taken most time.
	Commands []Command `json:"commands"`
	Memory   Memory    `json:"memory"`

	Job         *Job        `json:"job,omitempty"` // the checkpoint in flight
	Checkpoints Checkpoints `json:"checkpoints"`
	Log         Log         `json:"log"`
	Pipeline    []Member    `json:"pipeline"`
	Archive     *Archive    `json:"archive,omitempty"`
	Restore     Restore     `json:"restore"`
	Stores      []Store     `json:"stores"`
	Rates       []Rate      `json:"rates"`
	Plugins     []Plugin    `json:"plugins"`
	// Verified is what the last verifications found that the daemon was told of.
	Verified []Verification `json:"verified"`
	// Drills are how the last restore drills have ended that the daemon knows of.
	Drills []Drill `json:"drills"`
	// Certificates are those of listeners with TLS.
	Certificates []Certificate `json:"certificates"`
	// Schedules is what the daemon does by the clock.
	Schedules []Schedule `json:"schedules"`

	SlowLog []Slow  `json:"slow_log"`
	Errors  []Error `json:"errors"` // the last ones, newest first
}

// State is a report in one word.
type State string

// The states, from good to bad.
const (
	OK       State = "ok"
	Starting State = "loading"
	Warning  State = "warning"
	Critical State = "critical"
)

// Problem is something that is wrong now, and what to do about it.
type Problem struct {
	Severity State  `json:"severity"` // Warning or Critical
	What     string `json:"what"`
	Todo     string `json:"todo"`
}

// Error is something that went wrong.
type Error struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
	Text string    `json:"text"`
	Todo string    `json:"todo"`
}

// Server is what runs.
type Server struct {
	Version       string    `json:"version"`
	Commit        string    `json:"commit"`
	Go            string    `json:"go"`
	PID           int       `json:"pid"`
	Config        string    `json:"config"`
	Directory     string    `json:"directory"`
	Lineage       string    `json:"lineage"`
	StartedAt     time.Time `json:"started_at"`
	UptimeSeconds int64     `json:"uptime_seconds"`
	Shards        int       `json:"shards"`
	ReadOnly      bool      `json:"read_only"`
}

// Loading is how far a start has come.
type Loading struct {
	Bytes      int64   `json:"bytes"`
	TotalBytes int64   `json:"total_bytes"`
	Percent    float64 `json:"percent"`
	ETASeconds int64   `json:"eta_seconds"`
}

// Traffic is what clients do.
type Traffic struct {
	CommandsPerSecond    int64 `json:"commands_per_second"`
	InputBytesPerSecond  int64 `json:"input_bytes_per_second"`
	OutputBytesPerSecond int64 `json:"output_bytes_per_second"`
	Commands             int64 `json:"commands"`
	Errors               int64 `json:"errors"`
	Hits                 int64 `json:"hits"`
	Misses               int64 `json:"misses"`
	Clients              int64 `json:"clients"`
	MaxClients           int64 `json:"max_clients"`
	BlockedClients       int64 `json:"blocked_clients"`
	RejectedConnections  int64 `json:"rejected_connections"`
}

// Latency is how long the commands of a family took.
type Latency struct {
	Family string  `json:"family"`
	Calls  int64   `json:"calls"`
	P50    float64 `json:"p50_usec"`
	P99    float64 `json:"p99_usec"`
	P999   float64 `json:"p999_usec"`
}

// Command is what was counted of a command.
type Command struct {
	Name     string  `json:"name"`
	Calls    int64   `json:"calls"`
	Failed   int64   `json:"failed"`
	Rejected int64   `json:"rejected"`
	Seconds  float64 `json:"seconds"`
}

// Memory is what the data takes.
type Memory struct {
	UsedBytes     int64  `json:"used_bytes"`
	PeakBytes     int64  `json:"peak_bytes"`
	MaxBytes      int64  `json:"max_bytes"` // 0: no bound
	Policy        string `json:"policy"`
	ResidentBytes int64  `json:"resident_bytes"`
	ClientBytes   int64  `json:"client_bytes"`
	Keys          int64  `json:"keys"`
	Expires       int64  `json:"expires"` // keys with a time to live
	Expired       int64  `json:"expired"`
	Evicted       int64  `json:"evicted"`
}

// Job is a checkpoint that is being taken.
type Job struct {
	Kind        string `json:"kind"`
	Phase       string `json:"phase"`
	Keys        int64  `json:"keys"`
	TotalKeys   int64  `json:"total_keys"`
	RawBytes    int64  `json:"raw_bytes"`
	StoredBytes int64  `json:"stored_bytes"`
}

// Checkpoints is what was saved.
type Checkpoints struct {
	Generation   uint64       `json:"generation"` // 0: there is none
	LastAt       time.Time    `json:"last_at"`    // zero without one
	Unsaved      int64        `json:"unsaved"`    // changes since
	Committed    int64        `json:"committed"`
	LastOK       bool         `json:"last_ok"`
	LastError    string       `json:"last_error,omitempty"`
	RewriteOK    bool         `json:"rewrite_ok"`
	RewriteError string       `json:"rewrite_error,omitempty"`
	History      []Checkpoint `json:"history"` // since the start, newest first
}

// Checkpoint is one that has ended.
type Checkpoint struct {
	At         time.Time `json:"at"` // when it ended
	Kind       string    `json:"kind"`
	Generation uint64    `json:"generation"`
	Keys       int64     `json:"keys"`
	Bytes      int64     `json:"bytes"`
	Seconds    float64   `json:"seconds"`
	Error      string    `json:"error,omitempty"`
}

// Log is the log of writes.
type Log struct {
	State        string `json:"state"` // off, starting, on, stopping
	Fsync        string `json:"fsync"`
	OK           bool   `json:"ok"`
	Bytes        int64  `json:"bytes"` // with the base it follows
	PendingBytes int64  `json:"pending_bytes"`
	Error        string `json:"error,omitempty"`
	StartError   string `json:"start_error,omitempty"`
}

// Member is an encoder, a stage or a sink of the checkpoint pipeline.
type Member struct {
	Name           string  `json:"name"`
	Role           string  `json:"role"` // encoder, stage, local, required, best-effort
	BytesIn        int64   `json:"bytes_in"`
	BytesOut       int64   `json:"bytes_out"`
	BytesPerSecond int64   `json:"bytes_per_second"` // while it works
	BusySeconds    float64 `json:"busy_seconds"`
	Errors         int64   `json:"errors"`
	Pending        int64   `json:"pending"` // checkpoints that a best-effort sink is owed
	LagSeconds     int64   `json:"lag_seconds"`
	OtherLineages  int64   `json:"other_lineages"`
}

// Archive is how the archive of the log stands.
type Archive struct {
	LastSegment     uint64        `json:"last_segment"`
	WaitingSegments int64         `json:"waiting_segments"`
	WaitingBytes    int64         `json:"waiting_bytes"`
	LagSeconds      int64         `json:"lag_seconds"`
	Gap             uint64        `json:"gap"` // the newest segment that was given up, 0: none
	Error           string        `json:"error,omitempty"`
	Sinks           []ArchiveSink `json:"sinks"`
}

// ArchiveSink is a sink that the log is archived to.
type ArchiveSink struct {
	Name       string `json:"name"`
	Pending    int64  `json:"pending"`
	LagSeconds int64  `json:"lag_seconds"`
	Bytes      int64  `json:"bytes"`
	Errors     int64  `json:"errors"`
}

// Restore is which moments can be had back from the sinks.
type Restore struct {
	// Sinks tells whether there are any, beside the data directory.
	Sinks   bool            `json:"sinks"`
	Oldest  time.Time       `json:"oldest"` // zero: none
	Newest  time.Time       `json:"newest"`
	Windows []backup.Window `json:"windows"`
}

// Store is the requests of one kind to a sink.
type Store struct {
	Pipeline  string  `json:"pipeline"`
	Sink      string  `json:"sink"`
	Operation string  `json:"operation"`
	Result    string  `json:"result"` // ok, transient, permanent
	Requests  int64   `json:"requests"`
	Seconds   float64 `json:"seconds"`
}

// Rate is the bound on what goes to and comes from a sink, and how it has held that up.
// Of the archive as a whole it is called "archive.*".
type Rate struct {
	Sink           string  `json:"sink"`
	BytesPerSecond int64   `json:"bytes_per_second"`
	Bytes          int64   `json:"bytes"`          // that have passed under a bound
	WaitedSeconds  float64 `json:"waited_seconds"` // of all parts together
}

// Plugin is a plugin's process.
type Plugin struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`
	Since    time.Time `json:"since"`
	PID      int       `json:"pid,omitempty"`
	Starts   int       `json:"starts"`
	Failures int       `json:"failures"`
	Error    string    `json:"error,omitempty"`
}

// Verification is what reading a backup to its last byte has found.
type Verification struct {
	Source string    `json:"source"`
	At     time.Time `json:"at"`
	OK     bool      `json:"ok"`
	Text   string    `json:"text"`
}

// Drill is how restoring a backup for practice has ended.
type Drill struct {
	Source         string    `json:"source"`
	At             time.Time `json:"at"`
	OK             bool      `json:"ok"`
	RestoreSeconds float64   `json:"restore_seconds"` // until the longest restore was ready
	Text           string    `json:"text"`
}

// Schedule is a job that is done by the clock.
type Schedule struct {
	Job          string    `json:"job"`
	Schedule     string    `json:"schedule"` // an expression of cron
	Timezone     string    `json:"timezone"`
	Next         time.Time `json:"next"`
	RunningSince time.Time `json:"running_since,omitzero"`
	Last         time.Time `json:"last,omitzero"` // the last run began
	LastOK       bool      `json:"last_ok"`
	LastError    string    `json:"last_error,omitempty"`
	LastSeconds  float64   `json:"last_seconds"`
	Runs         int64     `json:"runs"`
	Failures     int64     `json:"failures"`
	Skipped      int64     `json:"skipped"` // times that came while the run before went on
}

// Certificate is what a listener shows its clients.
type Certificate struct {
	Listener string    `json:"listener"`
	Expires  time.Time `json:"expires"`
}

// Slow is a command that took long, without its secrets.
type Slow struct {
	At      time.Time `json:"at"`
	Usec    int64     `json:"usec"`
	Command string    `json:"command"`
	Client  string    `json:"client"`
}
