"""Python's redis for clusters: cluster.py HOST PORT"""

import sys

from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException

from check import fails, finish, same

r = RedisCluster(host=sys.argv[1], port=int(sys.argv[2]), decode_responses=True)
for i in range(200):
    r.set(f"key:{i}", i)
p = r.pipeline()
for i in range(200):
    p.get(f"key:{i}")
same("a pipeline", p.execute(), [str(i) for i in range(200)])
same("MSET", (r.mset_nonatomic({f"other:{i}": i for i in range(50)}), r.mget_nonatomic([f"other:{i}" for i in range(50)]))[1], [str(i) for i in range(50)])
same("DBSIZE", r.dbsize(), 250)
same("SCAN", len(set(r.scan_iter("key:*"))), 200)
fails("keys of several slots", RedisClusterException, r.mget, "a", "b")
finish()
