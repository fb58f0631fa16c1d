package pam

import "slices"

// Numbers are those of one PAM. Linux-PAM and OpenPAM have the same functions, the
// same structures and, for a conversation, the same numbers; what functions return
// differs. Attack: 7 is a wrong password to Linux-PAM and a denied permission to
// OpenPAM, 27 an expired password and "try again": read by the other's table, an
// account that may not be used passes for a mistyped password.
type Numbers struct {
	SystemErr, BufErr, ConvErr int32
	EstablishCred, DeleteCred  int32
	// NotAuthentic and Refused say something about the person and about the account;
	// every other but 0 is the machine's.
	NotAuthentic, Refused []int32
}

// Linux is Linux-PAM (security/_pam_types.h): of PAM_PERM_DENIED, PAM_AUTH_ERR,
// PAM_CRED_INSUFFICIENT, PAM_USER_UNKNOWN and PAM_MAXTRIES; PAM_NEW_AUTHTOK_REQD,
// PAM_ACCT_EXPIRED, PAM_CRED_EXPIRED and PAM_AUTHTOK_EXPIRED.
var Linux = Numbers{
	SystemErr: 4, BufErr: 5, ConvErr: 19, EstablishCred: 2, DeleteCred: 4,
	NotAuthentic: []int32{6, 7, 8, 10, 11}, Refused: []int32{12, 13, 16, 27},
}

// OpenPAM is Apple's (github.com/apple-oss-distributions/OpenPAM,
// openpam/include/security/pam_constants.h, OpenPAM-34): the same names, in the same
// order, and of its own PAM_APPLE_ACCT_TEMP_LOCK, an account after wrong passwords,
// and PAM_APPLE_ACCT_LOCKED.
var OpenPAM = Numbers{
	SystemErr: 4, BufErr: 5, ConvErr: 6, EstablishCred: 1, DeleteCred: 2,
	NotAuthentic: []int32{7, 9, 11, 13, 8, 1024}, Refused: []int32{10, 17, 15, 18, 1025},
}

// Wrong reports whether a function has said that it is not they.
func (n Numbers) Wrong(code int32) bool { return slices.Contains(n.NotAuthentic, code) }

// MayNot reports whether a function has said that the account may not be used now.
func (n Numbers) MayNot(code int32) bool { return slices.Contains(n.Refused, code) }
