// Package door is the language spoken at the local door: length-prefixed
// binary frames on a byte stream that also carries descriptors.
// docs/wire.md, "Door frames", is its specification.
//
// It is kept free of JSON, fmt and net because keepersudo links it, and what
// that links is time that every elevation pays for.
package door
