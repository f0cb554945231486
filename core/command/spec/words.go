package main

// The constants of package command that the words of the files stand for.
var (
	commandFlags = map[string]string{
		"WRITE": "Write", "READONLY": "ReadOnly", "DENYOOM": "DenyOOM", "ADMIN": "Admin", "PUBSUB": "PubSub", "NOSCRIPT": "NoScript",
		"BLOCKING": "Blocking", "LOADING": "Loading", "STALE": "Stale", "SKIP_MONITOR": "SkipMonitor", "SKIP_SLOWLOG": "SkipSlowlog",
		"FAST": "Fast", "NO_AUTH": "NoAuth", "ALLOW_BUSY": "AllowBusy", "NO_ASYNC_LOADING": "NoAsyncLoading", "NO_MULTI": "NoMulti",
		"MAY_REPLICATE": "MayReplicate", "NO_MANDATORY_KEYS": "NoMandatoryKeys", "ASKING": "Asking",
	}
	executorFlags = map[string]string{
		"ALL_SHARDS": "AllShards", "PATTERNS": "Patterns", "INSIDE_MULTI": "InsideMulti", "REWRITTEN": "Rewritten", "MAY_REPLICATE": "MayReplicate",
		"COUNTERS": "Counters", "PREPARED": "Prepared", "EACH_SHARD": "EachShard",
	}

	categories = map[string]string{
		"KEYSPACE": "CatKeyspace", "READ": "CatRead", "WRITE": "CatWrite", "SET": "CatSet", "SORTEDSET": "CatSortedSet", "LIST": "CatList",
		"HASH": "CatHash", "STRING": "CatString", "BITMAP": "CatBitmap", "HYPERLOGLOG": "CatHyperLogLog", "GEO": "CatGeo", "STREAM": "CatStream",
		"PUBSUB": "CatPubSub", "ADMIN": "CatAdmin", "FAST": "CatFast", "SLOW": "CatSlow", "BLOCKING": "CatBlocking", "DANGEROUS": "CatDangerous",
		"CONNECTION": "CatConnection", "TRANSACTION": "CatTransaction", "SCRIPTING": "CatScripting",
	}

	keyFlags = map[string]string{
		"RO": "KeyRO", "RW": "KeyRW", "OW": "KeyOW", "RM": "KeyRM", "ACCESS": "KeyAccess", "UPDATE": "KeyUpdate", "INSERT": "KeyInsert",
		"DELETE": "KeyDelete", "NOT_KEY": "KeyNotKey", "INCOMPLETE": "KeyIncomplete", "VARIABLE_FLAGS": "KeyVariableFlags",
	}
)
