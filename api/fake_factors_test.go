package api_test

import (
	"context"
	"time"

	"kpm/api"
	"kpm/core"
	"kpm/core/view"
)

// errNobody and errEnrolled are what factors refuse.
var (
	errNobody   = core.NewError(core.NotFound, "no such user")
	errEnrolled = core.NewError(core.Conflict, "enrolled already")
	errTicket   = core.NewError(core.NotPermitted, "no such ticket")
)

type factorsOf struct{ *world }

var _ api.Factors = factorsOf{}

func (factorsOf) List() ([]view.Factor, error) {
	return []view.Factor{{User: "anna", UserID: "1000", Kind: "totp", At: time.Unix(0, 0).UTC(), By: "root", RecoveryCodes: 9, LockedSeconds: 60}}, nil
}

func (f factorsOf) Enroll(_ context.Context, _ core.Principal, user string, replace bool) (view.Enrollment, error) {
	switch {
	case user == "nobody":
		return view.Enrollment{}, errNobody
	case !replace:
		return view.Enrollment{}, errEnrolled
	}
	return view.Enrollment{User: user, UserID: "1000", URI: "otpauth://totp/x", Secret: "GEZDGNBV", RecoveryCodes: []string{"aaaa-bbbb"}}, nil
}

func (f factorsOf) Remove(_ core.Principal, user string) error {
	if user == "nobody" {
		return errNobody
	}
	return nil
}

func (f factorsOf) Ticket(_ core.Principal, user string, replace bool) (view.Ticket, error) {
	if user == "nobody" {
		return view.Ticket{}, errNobody
	}
	return view.Ticket{User: user, UserID: "1000", Ticket: "aaaa-bbbb", Until: time.Unix(0, 0).UTC()}, nil
}

func (f factorsOf) Redeem(_ context.Context, who core.Principal, ticket string) (view.Enrollment, error) {
	if ticket != "x" {
		return view.Enrollment{}, errTicket
	}
	return f.Enroll(context.Background(), who, "anna", true)
}

func (f factorsOf) Login(_ context.Context, _ core.Principal, answer view.LoginAnswer) (view.Login, error) {
	if answer.ID != "" {
		return view.Login{}, errNobody
	}
	return view.Login{ID: "y", Question: "Password: ", Secret: true}, nil
}
