// Package answer makes the terminal of a person's own program ready for what they type
// at it, and gives it back. keepersudo asks by itself (platform/caller), since it links
// less.
package answer
