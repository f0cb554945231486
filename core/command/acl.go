package command

import "strings"

// Categories are the ACL categories of a command, a bit each.
type Categories uint32

// The categories, in Redis's order.
const (
	CatKeyspace Categories = 1 << iota
	CatRead
	CatWrite
	CatSet
	CatSortedSet
	CatList
	CatHash
	CatString
	CatBitmap
	CatHyperLogLog
	CatGeo
	CatStream
	CatPubSub
	CatAdmin
	CatFast
	CatSlow
	CatBlocking
	CatDangerous
	CatConnection
	CatTransaction
	CatScripting
)

var categoryNames = []named[Categories]{
	{CatKeyspace, "@keyspace"}, {CatRead, "@read"}, {CatWrite, "@write"}, {CatSet, "@set"}, {CatSortedSet, "@sortedset"}, {CatList, "@list"},
	{CatHash, "@hash"}, {CatString, "@string"}, {CatBitmap, "@bitmap"}, {CatHyperLogLog, "@hyperloglog"}, {CatGeo, "@geo"},
	{CatStream, "@stream"}, {CatPubSub, "@pubsub"}, {CatAdmin, "@admin"}, {CatFast, "@fast"}, {CatSlow, "@slow"},
	{CatBlocking, "@blocking"}, {CatDangerous, "@dangerous"}, {CatConnection, "@connection"}, {CatTransaction, "@transaction"},
	{CatScripting, "@scripting"},
}

// CategoryNames returns the categories' names, without the "@", in Redis's order.
func CategoryNames() []string {
	names := make([]string, len(categoryNames))
	for i, c := range categoryNames {
		names[i] = c.name[1:]
	}
	return names
}

// CategoryByName finds a category by its name, without the "@" and in any case;
// 0 when there is none.
func CategoryByName(name string) Categories {
	for _, c := range categoryNames {
		if strings.EqualFold(c.name[1:], name) {
			return c.flag
		}
	}
	return 0
}

// implied returns the categories that follow from a command's flags, given
// those that do not.
func (c Categories) implied(f Flags) Categories {
	for _, i := range []struct {
		flag Flags
		cats Categories
	}{
		{Write, CatWrite}, {Admin, CatAdmin | CatDangerous}, {PubSub, CatPubSub}, {Fast, CatFast}, {Blocking, CatBlocking},
	} {
		if f&i.flag != 0 {
			c |= i.cats
		}
	}
	if f&ReadOnly != 0 && c&CatScripting == 0 { // what a script reads is the script's business
		c |= CatRead
	}
	if c&CatFast == 0 {
		c |= CatSlow
	}
	return c
}
