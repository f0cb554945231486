package command

import "github.com/spillwaydb/spillway/core/keyspace"

// seekers say what commands look for in the collection at their first key. They are asked of arguments
// of which nothing has been checked but that there is a key, and change nothing. Commands that are
// about several elements say the first one.
var seekers = map[string]func(args [][]byte) keyspace.Seek{
	"hdel": seekSecond, "hexists": seekSecond, "hget": seekSecond, "hincrby": seekSecond, "hincrbyfloat": seekSecond, "hmget": seekSecond, "hmset": seekSecond,
	"hset": seekSecond, "hsetnx": seekSecond, "hstrlen": seekSecond,
	"sadd": seekSecond, "sismember": seekSecond, "smismember": seekSecond, "srem": seekSecond,
	"zmscore": seekSecond, "zrank": seekSecond, "zrem": seekSecond, "zrevrank": seekSecond, "zscore": seekSecond,
	"zadd": seekPlace, "zincrby": seekThird,
	"zpopmin": func([][]byte) keyspace.Seek { return keyspace.Seek{Kind: keyspace.SeekFirst} },
	"zpopmax": func([][]byte) keyspace.Seek { return keyspace.Seek{Kind: keyspace.SeekLast} },
}

// Seeks tells whether Seek tells anything.
func (cmd *Command) Seeks() bool { return cmd.seek != nil }

// Seek tells what the command is going to look for in the collection at its first key, for
// keyspace.Ahead: it may be wrong, and nothing depends on it.
func (cmd *Command) Seek(args [][]byte) keyspace.Seek {
	if cmd.seek == nil {
		return keyspace.Seek{}
	}
	return cmd.seek(args)
}

func seekArgument(args [][]byte, n int) keyspace.Seek {
	if n >= len(args) {
		return keyspace.Seek{}
	}
	return keyspace.Seek{Kind: keyspace.SeekMember, Member: args[n]}
}

func seekSecond(args [][]byte) keyspace.Seek { return seekArgument(args, 2) }

func seekThird(args [][]byte) keyspace.Seek { return seekArgument(args, 3) }

// seekPlace is that of ZADD without options, of one member.
func seekPlace(args [][]byte) keyspace.Seek {
	if len(args) != 4 {
		return keyspace.Seek{}
	}
	score, ok := parseFloat(args[2])
	if !ok {
		return keyspace.Seek{}
	}
	return keyspace.Seek{Kind: keyspace.SeekPlace, Member: args[3], Score: score}
}
