// Package tidy checks the shape of this repository: the size of files, functions and interfaces, package comments,
// which package may import which, where cgo may be used, and a few habits of text files.
//
// It reads sources with go/parser and never builds them, so it also checks files of other platforms and build tags.
// [Check] is the whole of it; the package's own test runs it over the repository, and over planted sources to show
// that each rule can fail. A [Finding] names the file, the line, the rule and what is wrong.
package tidy
