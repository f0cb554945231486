// Package age is the official encryption stage: it writes a standard age v1
// file (https://age-encryption.org/v1, binary), so that
//
//	age -d -i key.txt < shard-0000.rdb.age > dump.rdb
//
// undoes it without this program. It keeps no receipt.
//
// Encrypting needs recipients (public keys), decrypting needs identities
// (secret keys), and a stage may have only one of the two. A server that can
// encrypt but not decrypt cannot load its own checkpoints at the next start:
// give the stage an identity wherever its output is the local base.
//
// It refuses to exist with neither, and never shows a secret in an error.
package age
