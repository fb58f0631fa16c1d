package view

import "time"

// Enrollment is what a person needs who was given a second factor. It is shown
// once, and kept by nobody.
type Enrollment struct {
	User   string `json:"user"`
	UserID string `json:"userId"`
	// URI is otpauth://totp/..., for a QR code.
	URI string `json:"uri"`
	// Secret is in base32, to be typed.
	Secret string `json:"secret"`
	// RecoveryCodes count once each.
	RecoveryCodes []string `json:"recoveryCodes"`
}

// Factor is a second factor that is enrolled, without anything secret.
type Factor struct {
	User   string    `json:"user"`
	UserID string    `json:"userId"`
	Kind   string    `json:"kind"`
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	// RecoveryCodes is how many are left.
	RecoveryCodes int `json:"recoveryCodes"`
	// LockedSeconds is for how long no code is looked at; 0 if codes are.
	LockedSeconds int `json:"lockedSeconds"`
}

// FactorRemoved says whose second factor was ended.
type FactorRemoved struct {
	User string `json:"user"`
}

// Ticket is what a person needs to enrol themself, once.
type Ticket struct {
	User   string `json:"user"`
	UserID string `json:"userId"`
	Ticket string `json:"ticket"`
	// Until is when it is worth nothing any more, by the wall clock.
	Until time.Time `json:"until"`
}
