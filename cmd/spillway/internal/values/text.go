package values

import (
	"bufio"
	"io"
	"strconv"
	"strings"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
)

// Plain is a string as it is.
func Plain(b []byte) string { return string(b) }

// Quoted is a string as a terminal can show it.
func Quoted(b []byte) string { return strconv.Quote(string(b)) }

// WriteText writes the value, an element a line and what belongs to it behind tabs: a
// field's value and deadline, a member's score, the ID and the fields of an entry.
// spell is how strings are written.
func (e *Entry) WriteText(out io.Writer, spell func([]byte) string) error {
	w := bufio.NewWriter(out)
	for _, r := range e.Rows {
		var columns []string
		if r.ID != "" {
			columns = append(columns, r.ID)
		}
		for _, word := range r.Words {
			columns = append(columns, spell(word))
		}
		if e.Type == rdb.TypeZSet {
			columns = append(columns, resp.FormatDouble(r.Score))
		}
		if r.Expires != 0 {
			columns = append(columns, Moment(r.Expires))
		}
		_, _ = w.WriteString(strings.Join(columns, "\t") + "\n") // Flush tells
	}
	return w.Flush()
}
