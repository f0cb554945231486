package command

import "github.com/spillwaydb/spillway/core/keyspace"

// followingCommand is REPLCONF as a log has it: where the keyspace stands that follows
// another server. Every shard is locked, as for function libraries.
var followingCommand = &Command{Name: "replconf", Arity: 3, Flags: Write | NoScript | AllShards}

func init() { followingCommand.finish(handlers{"replconf": logFollowing}) }

// IsFollowing tells whether a logged command says where another server is followed.
func IsFollowing(cmd *Command) bool { return cmd == followingCommand }

func logFollowing(c *Ctx) {
	f, err := keyspace.ParseFollowing(string(c.Args[2]))
	if err != nil {
		c.Out.Error("ERR " + err.Error())
		return
	}
	c.KS.SetFollowing(f)
	c.dirty++
	c.Out.OK()
}

// SetFollowing says where a keyspace stands that is being loaded, in the text of a
// snapshot. It locks shard 0.
func SetFollowing(ks *keyspace.Keyspace, text string) error {
	f, err := keyspace.ParseFollowing(text)
	if err != nil {
		return err
	}
	s := ks.Shard(0)
	s.Lock()
	defer s.Unlock()
	ks.SetFollowing(f)
	return nil
}
