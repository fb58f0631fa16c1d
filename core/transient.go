package core

// TransientTerms say that a command runs as an account that is made for it alone, and
// removed after it.
type TransientTerms struct {
	// Groups are those of this machine that the account is in, beside its own.
	Groups []string `json:"Groups,omitempty"`
}
