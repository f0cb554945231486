package command

import (
	"math/rand/v2"

	"github.com/spillwaydb/spillway/core/resp"
)

// What the tests of this package that run a whole engine need of the others.
var (
	SeedOf    = seedOf
	Asker     = asker
	SortReply = sortReply
)

// Family is commands that a real redis-server answers as an engine does.
type Family struct {
	Name string
	// Command makes a random one. The order of an unordered reply does not matter.
	Command func(*rand.Rand) (line []string, unordered bool)
	// Same makes two replies equal that differ in what Redis leaves open, nil if
	// nothing is.
	Same func(line []string, v resp.Value) resp.Value
}

// Families are those that have random commands.
func Families() []Family {
	of := func(name string, command func(words) ([]string, bool)) Family {
		return Family{Name: name, Command: func(rng *rand.Rand) ([]string, bool) { return command(words{rng}) }}
	}
	collections, streams := of("collections", words.command), Family{
		Name:    "streams",
		Command: func(rng *rand.Rand) ([]string, bool) { return streamWords{words{rng}}.command(), false },
		Same:    timeless,
	}
	collections.Same = func(_ []string, v resp.Value) resp.Value { return plusZero(v) }
	return []Family{
		collections, streams, of("strings", words.strings), of("bits", words.bits), of("geo", words.geo),
		of("hyperloglogs", words.sketches), of("sort", words.sorts),
	}
}
