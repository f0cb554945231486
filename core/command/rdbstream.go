package command

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// SYNC and PSYNC begin replication. A client that has said `REPLCONF rdb-only 1`, as
// redis-cli does for --rdb and --functions-rdb, wants no more than what stands at its
// beginning, an RDB file, and that it gets.

// RDB is an RDB file that a client is to get. Who has it closes it.
type RDB interface {
	io.ReadCloser
	Size() int64
}

// RDBWish is what a client has said of itself by REPLCONF.
type RDBWish struct {
	Only      bool // an RDB file and nothing behind it
	Marked    bool // it finds the end of the file by a mark
	Filtered  bool // it does not want all of it
	Functions bool // but these
}

// Taker is a [Client] that an RDB file can be sent to.
type Taker interface {
	// Wish is what the client has said. It belongs to the client's goroutine.
	Wish() *RDBWish
	// TakeLast sends what is in stream behind the replies so far, closes it and ends
	// the connection. A client that takes nothing for too long is closed before.
	TakeLast(stream io.ReadCloser)
}

// stream is a file with what is around it.
type stream struct {
	io.Reader
	io.Closer
}

func syncCommand(c *Ctx) { c.sendRDB("") }

func psyncCommand(c *Ctx) {
	if len(c.Args) > 3 && is(c.Args[3], "failover") {
		c.Out.Error("ERR PSYNC FAILOVER can't be sent to a master.")
		return
	}
	c.sendRDB("+FULLRESYNC %s 0\r\n")
}

// sendRDB has the client sent an RDB file, behind a line that has the engine's RunID, "" for
// none.
func (c *Ctx) sendRDB(first string) {
	to, ok := c.Client.(Taker)
	if !ok || !to.Wish().Only {
		noReplication(c)
		return
	}
	if first != "" {
		first = fmt.Sprintf(first, c.Engine.RunID())
	}
	w := to.Wish()
	rdb, err := c.Engine.RDB(!w.Filtered, !w.Filtered || w.Functions)
	if err != nil {
		c.Out.Error(err.Error())
		return
	}
	if !w.Marked {
		before := fmt.Sprintf("%s$%d\r\n", first, rdb.Size())
		to.TakeLast(stream{io.MultiReader(strings.NewReader(before), rdb), rdb})
		return
	}
	var random [20]byte
	_, _ = rand.Read(random[:]) // never fails
	mark := hex.EncodeToString(random[:])
	before := fmt.Sprintf("%s$EOF:%s\r\n", first, mark)
	to.TakeLast(stream{io.MultiReader(strings.NewReader(before), rdb, strings.NewReader(mark)), rdb})
}

// wish is where what REPLCONF says is kept.
func (c *Ctx) wish() *RDBWish {
	if to, ok := c.Client.(Taker); ok {
		return to.Wish()
	}
	return new(RDBWish)
}

// filterRDB is REPLCONF rdb-filter-only: the parts that the client wants, and no others.
func (c *Ctx) filterRDB(value []byte) bool {
	w := c.wish()
	w.Filtered, w.Functions = true, false
	for _, part := range strings.Fields(string(value)) {
		if !strings.EqualFold(part, "functions") {
			c.Out.Errorf("ERR Unsupported rdb-filter-only option: %s", part)
			return false
		}
		w.Functions = true
	}
	return true
}
