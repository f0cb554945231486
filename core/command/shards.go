package command

import (
	"bytes"
	"errors"
	"slices"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// Shards adds to dst the shards that a command with these arguments may touch,
// and returns it. dst is ascending and without duplicates, and stays so: the
// shards of several commands can be gathered in it, and be locked in its order.
// A command without keys adds nothing. One with EachShard adds all: whoever can visit
// them one by one does not ask. CheckArity has accepted the arguments.
func Shards(cmd *Command, args [][]byte, ks *keyspace.Keyspace, dst []int) ([]int, error) {
	if cmd.Sub != nil {
		cmd = cmd.Resolve(args)
	}
	if cmd.OnlyKey > 0 && cmd.OnlyKey < len(args) {
		return addShard(dst, ks.ShardOf(args[cmd.OnlyKey])), nil
	}
	if cmd.Flags&EachShard != 0 || cmd.Flags&AllShards != 0 && (cmd.any == nil || cmd.any(args)) || cmd.Flags&Patterns != 0 && hasPattern(args) {
		dst = dst[:0]
		for n := range ks.NumShards() {
			dst = append(dst, n)
		}
		return dst, nil
	}
	var few [8]Key // for not to allocate any
	keys, err := few[:0], error(nil)
	switch {
	case cmd.reads:
		keys = readKeys(keys, args)
	case cmd.keys != nil:
		keys = cmd.keys(nil, args)
	default:
		keys, err = cmd.appendSpecified(keys, args)
	}
	if errors.Is(err, errNoMoreKeys) {
		err = nil
	}
	if cmd.stores != nil {
		for _, k := range cmd.stores(nil, args) {
			dst = addShard(dst, ks.ShardOf(args[k.At]))
		}
	}
	for _, k := range keys {
		dst = addShard(dst, ks.ShardOf(args[k.At]))
	}
	return dst, err
}

// hasPattern tells whether an argument behind the key may be a pattern that stands for
// keys.
func hasPattern(args [][]byte) bool {
	return slices.ContainsFunc(args[2:], func(a []byte) bool { return bytes.IndexByte(a, '*') >= 0 })
}

// addShard inserts a shard into an ascending list.
func addShard(dst []int, n int) []int {
	if k := len(dst); k == 0 || dst[k-1] < n {
		return append(dst, n)
	}
	if i, found := slices.BinarySearch(dst, n); !found {
		dst = slices.Insert(dst, i, n)
	}
	return dst
}
