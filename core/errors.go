package core

import "errors"

// Errors that ports report and every room understands.
var (
	ErrNotProtected = errors.New("not protected: someone other than an administrator can change it")
	ErrNotRegular   = errors.New("not a regular file")
	ErrNoAccount    = errors.New("no such account")
	ErrForeign      = errors.New("the caller lives in another namespace")
	ErrCancelled    = errors.New("cancelled") // the person who was asked declined
)
