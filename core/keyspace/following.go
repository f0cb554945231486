package keyspace

import (
	"fmt"
	"strconv"
	"strings"
)

// FollowState is how far a keyspace has come that takes over the data of another
// server.
type FollowState string

// The states of a keyspace that follows.
const (
	FollowNothing FollowState = ""          // it never has
	FollowSyncing FollowState = "syncing"   // it holds a part of the other's dataset
	FollowStream  FollowState = "following" // it holds what the other held at an offset
	FollowBroken  FollowState = "broken"    // a command of the other's did not apply: only its dataset mends that
	FollowDone    FollowState = "done"      // it followed to the end, and is its own master since
)

// Following says where a keyspace stands in the replication stream of another
// server. It changes in the same unit as the data it is about, so that neither a
// crash nor a restored checkpoint ever has one without the other.
type Following struct {
	State  FollowState
	From   string // the other's address
	ID     string // its replication ID
	Offset int64  // in its stream, up to which everything is here
	DB     int    // that is selected in the stream behind Offset
}

// Ended tells whether the keyspace follows nobody, not yet or not any more.
func (f Following) Ended() bool { return f.State == FollowNothing || f.State == FollowDone }

// String is what checkpoints and the log hold; [ParseFollowing] reads it.
func (f Following) String() string {
	return fmt.Sprintf("%s %s %d %d %s", f.State, orDash(f.ID), f.Offset, f.DB, orDash(f.From))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// ParseFollowing reads what String has written.
func ParseFollowing(text string) (f Following, err error) {
	words := strings.Split(text, " ")
	if len(words) != 5 {
		return f, fmt.Errorf("%.200q does not say where a server is followed: it has %d words, want 5", text, len(words))
	}
	for i, w := range words {
		if w == "-" {
			words[i] = ""
		}
	}
	f = Following{State: FollowState(words[0]), ID: words[1], From: words[4]}
	switch f.State {
	case FollowSyncing, FollowStream, FollowBroken, FollowDone:
	case FollowNothing:
		return f, fmt.Errorf("%.200q does not say where a server is followed", text)
	default:
		return f, fmt.Errorf("%.200q does not say where a server is followed: %q is no state of that", text, words[0])
	}
	if f.Offset, err = strconv.ParseInt(words[2], 10, 64); err == nil {
		f.DB, err = strconv.Atoi(words[3])
	}
	if err != nil || f.Offset < 0 || f.DB < 0 {
		return f, fmt.Errorf("%.200q does not say where a server is followed: want an offset and a database, not negative", text)
	}
	return f, nil
}

// Following says where the keyspace stands. It needs no lock.
func (k *Keyspace) Following() Following { return *k.following.Load() }

// SetFollowing changes it. The lock of shard 0 is held.
func (k *Keyspace) SetFollowing(f Following) { k.following.Store(&f) }

// verbFollowing begin the command that stands for a Following where commands build
// a keyspace. A Redis takes it for an option of REPLCONF that it does not know.
var verbFollowing = [][]byte{[]byte("REPLCONF"), []byte("SPILLWAY")}

// FollowingCommand is the command that a log and a rewrite have for f.
func FollowingCommand(f Following) [][]byte {
	return [][]byte{verbFollowing[0], verbFollowing[1], []byte(f.String())}
}

// AuxFollowing is the name of the aux field that a snapshot has for a Following.
const AuxFollowing = "spillway-following"
