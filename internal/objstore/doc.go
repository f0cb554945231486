// Package objstore is what the sink in plugins/blob and the filesystem in
// fsbackends/blobfs have in common, which may not import each other: what the
// URL of an object store means, the drivers of gocloud.dev/blob, and what the
// stores' errors mean.
//
// It refuses credentials in a URL, and lets none into the text of an error.
package objstore
