// Package servers runs real servers for tests: versitygw for S3,
// fake-gcs-server for Google Cloud Storage, Azurite for Azure Blob Storage, and
// OpenSSH's sshd for SFTP. Each listens on a free port of the loopback
// interface, keeps its files in a directory of the test, and ends with the
// test, or with the test's process however that dies.
//
// A server that is not installed fails the test, with the command that installs
// it.
package servers
