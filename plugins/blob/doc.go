// Package blob is the sink over object stores, through gocloud.dev/blob:
//
//	s3://BUCKET/PREFIX?region=eu-central-1
//	s3://BUCKET/PREFIX?endpoint=https://minio.example&use_path_style=true&region=us-east-1
//	gs://BUCKET/PREFIX
//	azblob://CONTAINER/PREFIX?storage_account=ACCOUNT
//	file:///DIRECTORY
//	mem://
//
// The query takes what gocloud.dev takes for that scheme. The layout below the
// prefix is in plugins/internal/setstore. mem:// is for tests: it is empty at
// every start.
//
// # Credentials
//
// They come from where the store's own tools look for them, never from the URL.
// S3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE and
// ~/.aws, SSO, a container's or a machine's role. GCS:
// GOOGLE_APPLICATION_CREDENTIALS, gcloud's, the machine's service account.
// Azure: AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or
// AZURE_STORAGE_SAS_TOKEN, AZURE_STORAGE_CONNECTION_STRING, a managed identity.
// A plugin gets only the environment that its block in plugins.hcl names.
//
// # What it holds to
//
//   - A part is streamed in pieces of part_size, of which concurrency are on
//     their way at once: a Put holds about part_size × (concurrency + 2), however
//     large the part is. S3 takes 10,000 pieces, so that a part has at most
//     10,000 × part_size (78 GiB by default).
//   - A part of more than part_size is read by several requests at once, each for a
//     range of part_size, of which concurrency are on their way or in memory at the
//     most: part_size × concurrency for each part that is read. More than two are only
//     when whoever reads has to wait. A range that breaks off is gone on with from
//     there. With concurrency = 1, from file:// and mem://, and from a store that knows
//     no ranges, a part is read in one stream.
//   - An upload whose source failed, or which was cancelled, leaves no object. On
//     S3 it is aborted; what that leaves, or a killed process, is aborted by Sweep,
//     which wants s3:ListBucketMultipartUploads and s3:AbortMultipartUpload. GCS
//     and Azure do not tell of unfinished uploads; both discard them after a week.
//   - Stores confirm what they received. S3 checks a CRC-32 of each piece and keeps
//     one of the whole, which is compared after the upload; with
//     request_checksum_calculation=when_required, for stores that know no
//     checksums, an ETag that is an MD5 is compared instead. GCS: CRC-32C. Azure
//     checks a CRC-64 of each piece, and keeps the MD5 of a part that came in one.
//     A file is fsynced, with its directories. The size is compared everywhere.
//     verify = true reads each part again.
//   - A failure ends the upload at once; only Azure's client reads the source to
//     its end before it says what failed.
//   - The ETag goes into the receipt, and Publish wants it to be the same.
//   - SET.json is put under the condition that there is none.
//   - URLs in errors and logs have neither query nor user.
//
// It refuses to retry an upload, and a second writer below the same prefix.
package blob
