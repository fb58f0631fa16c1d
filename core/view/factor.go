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

// Login is one step of somebody who logs in again: a question, or the ticket that they
// are given when everything was right.
type Login struct {
	// ID is what the answer has to name.
	ID string `json:"id"`
	// Told is what the machine's own check has said since the last question. It and
	// Question are as they come: whoever shows them makes them safe to show.
	Told     []string `json:"told,omitempty"`
	Question string   `json:"question,omitempty"`
	Secret   bool     `json:"secret"` // what is typed is not to be shown
	Ticket   *Ticket  `json:"ticket,omitempty"`
}

// LoginAnswer is an answer to Login. Without an ID somebody begins.
type LoginAnswer struct {
	ID     string `json:"id,omitempty"`
	Answer string `json:"answer,omitempty"`
}
