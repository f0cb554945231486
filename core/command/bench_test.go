package command

import (
	"strconv"
	"testing"

	"github.com/spillwaydb/spillway/core/resp"
)

func BenchmarkCommand(b *testing.B) {
	for _, line := range []string{"GET key:%", "SET key:% 0123456789012345678901234567890123456789012345678901234567890123", "INCR n:%"} {
		b.Run(line[:4], func(b *testing.B) {
			x := newTester(b, 2)
			x.ctx.Events.Want(-1) // the tester itself
			var cmds [][][]byte
			for i := range 10000 {
				var args [][]byte
				words, _ := resp.SplitArgs([]byte(line), nil)
				for _, w := range words {
					if n := len(w); w[n-1] == '%' {
						w = strconv.AppendInt(w[:n-1:n-1], int64(i), 10)
					}
					args = append(args, w)
				}
				cmds = append(cmds, args)
				x.run("SET", "key:"+strconv.Itoa(i), "0123456789012345678901234567890123456789012345678901234567890123")
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				args := cmds[i%len(cmds)]
				cmd := Lookup(args[0])
				shard := x.ks.Shard(x.ks.ShardOf(args[1]))
				x.out.Buf = x.out.Buf[:0]
				shard.Lock()
				x.ctx.Reset(args, &x.out, 0, -1, x.now)
				Call(&x.ctx, cmd)
				shard.Unlock()
			}
		})
	}
}

// BenchmarkRoute is what comes before a command's locks: its entry in the table,
// its arity and its keys.
func BenchmarkRoute(b *testing.B) {
	for _, line := range []string{"GET key", "SET key v", "DEL a b c", "MSET a 1 b 2", "ZUNIONSTORE d 2 a b", "OBJECT ENCODING k", "SET key v EX 10 GET"} {
		b.Run(line, func(b *testing.B) {
			args, _ := resp.SplitArgs([]byte(line), nil)
			b.ReportAllocs()
			var keys []Key
			for range b.N {
				cmd := Lookup(args[0])
				if CheckArity(cmd, args) != "" {
					b.Fatal("arity")
				}
				if cmd = cmd.Resolve(args); cmd.OnlyKey == 0 {
					keys, _ = cmd.AppendKeys(keys[:0], args)
				}
			}
		})
	}
}
