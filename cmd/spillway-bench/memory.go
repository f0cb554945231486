package main

import (
	"fmt"
	"strconv"
	"time"
)

// minKeys is the least of --keys and --keyspace: the collections of neighbours are sent
// by the thousand.
const minKeys = 1000

// dataset is a row of memory: what is there, and what its resident memory is divided by.
type dataset struct {
	name     string
	per      string
	commands func(n int) int
	feed     feed
	counts   func(n int) int // of what per says
}

const (
	smallSize  = 10 // elements of a small collection
	largeCount = 10 // large collections
)

// datasets in the order they are loaded. A small collection has 10 elements of 16
// bytes; the large ones are 10, which have n elements together.
func datasets() []dataset {
	all := func(n int) int { return n / smallSize * smallSize }
	tenth := func(n int) int { return n / smallSize }
	large := func(i int) string { return "large:" + strconv.Itoa(i%largeCount) }
	list := []dataset{{
		"strings, keys of 16 bytes and values of 64", "key", all, stringsOf(64), all,
	}}
	for _, c := range []struct {
		name    string
		command string
		each    func(args []string, i int) []string
	}{
		{"hash", "HSET", func(a []string, i int) []string { return append(a, short(i), value16) }},
		{"list", "RPUSH", func(a []string, i int) []string { return append(a, short(i)) }},
		{"set", "SADD", func(a []string, i int) []string { return append(a, short(i)) }},
		{"sorted set", "ZADD", func(a []string, i int) []string { return append(a, strconv.Itoa(i), short(i)) }},
	} {
		elements := func(key func(i int) string) feed {
			return func(b []byte, i int) []byte {
				args := []string{c.command, key(i)}
				for e := range smallSize {
					args = c.each(args, i*smallSize+e)
				}
				return appendCommand(b, args...)
			}
		}
		list = append(list, dataset{
			"small: a " + c.name + " of 10", "key",
			tenth,
			elements(key),
			tenth,
		}, dataset{
			"large: a " + c.name, "element",
			tenth,
			elements(large),
			all,
		})
	}
	entry := func(key func(i int) string) feed {
		return func(b []byte, i int) []byte { return appendCommand(b, "XADD", key(i), "*", "field", value16) }
	}
	return append(list,
		dataset{"small: a stream of 10", "key", all, entry(func(i int) string { return key(i / smallSize) }), tenth},
		dataset{"large: a stream", "element", all, entry(large), all},
	)
}

// short is a name of 16 bytes that is no number.
func short(i int) string { return fmt.Sprintf("elem%012d", i) }

const value16 = "value-of-16-byte"

// memory loads the same data into all and compares the growth of resident memory,
// with new servers for every dataset.
func (b *bench) memory() error {
	for _, d := range datasets() {
		b.progress("memory: %s", d.name)
		done := b.report.begin()
		err := b.with(options{scenario: "memory", appendOnly: "no", fsync: "everysec", pinned: true}, func(f fleet) error {
			return f.rounds(1, func(s *server) error {
				before, err := s.rss()
				if err != nil {
					return err
				}
				if err := s.feed(d.commands(b.keys), d.feed); err != nil {
					return err
				}
				time.Sleep(b.settle / 6) // what it does behind a reply
				after, err := s.rss()
				if err != nil {
					return err
				}
				b.report.add(figure{Scenario: "memory", Workload: d.name + ", per " + d.per, Metric: "resident", Unit: "B"}, s.name,
					(after-before)/float64(d.counts(b.keys)))
				return nil
			})
		})
		if err != nil {
			b.report.undo(done)
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}
