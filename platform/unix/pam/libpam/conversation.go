//go:build linux || darwin

package libpam

import (
	"io"
	"unsafe"

	"github.com/ebitengine/purego"

	"kpm/platform/unix/pam"
)

// conversation is struct pam_conv.
type conversation struct {
	function uintptr
	data     uintptr
}

// message and response are struct pam_message and struct pam_response.
type message struct {
	style int32
	text  unsafe.Pointer
}

type response struct {
	text unsafe.Pointer
	code int32
}

// speaker is the service's end of a conversation, for the modules.
type speaker struct {
	library *library
	service io.ReadWriter
}

// conversation returns what pam_start is given. It lives as long as the process.
func (s *speaker) conversation() *conversation {
	return &conversation{function: purego.NewCallback(s.converse)}
}

// converse implements pam_conv(3). Both PAMs hand over an array of pointers (OpenPAM,
// openpam/lib/openpam_ttyconv.c, reads msg[i]->msg); that of Solaris, a pointer to an
// array, is none of them.
func (s *speaker) converse(count int32, messages *[maxMessages]*message, answers *unsafe.Pointer, _ uintptr) int32 {
	if count <= 0 || count > maxMessages || messages == nil || answers == nil {
		return pam.Here.ConvErr
	}
	// PAM frees what is answered, with the C library's own function.
	made := s.library.calloc(uintptr(count), unsafe.Sizeof(response{}))
	if made == nil {
		return pam.Here.BufErr
	}
	all := unsafe.Slice((*response)(made), count)
	for i := range count {
		status := s.exchange(messages[i], &all[i])
		if status != success {
			s.forget(all)
			s.library.free(made)
			return status
		}
	}
	*answers = made
	return success
}

// kinds are what each style is to the service.
var kinds = map[int32]string{promptEchoOff: pam.Secret, promptEchoOn: pam.Prompt, errorMessage: pam.Fault, textInfo: pam.Info}

// exchange has the service say one message, and takes its answer if there is one.
func (s *speaker) exchange(m *message, into *response) int32 {
	if m == nil {
		return pam.Here.ConvErr
	}
	kind, ok := kinds[m.style]
	if !ok {
		return pam.Here.ConvErr // PAM_BINARY_PROMPT and PAM_RADIO_TYPE, which nobody here can answer
	}
	if err := pam.Send(s.service, pam.Message{Kind: kind, Text: goString(m.text, maxText)}); err != nil {
		return pam.Here.ConvErr
	}
	if kind != pam.Secret && kind != pam.Prompt {
		return success
	}
	var answer pam.Answer
	if err := pam.Receive(s.service, &answer); err != nil {
		return pam.Here.ConvErr
	}
	defer clear(answer.Text)
	if answer.Cancelled || len(answer.Text) >= maxText {
		return pam.Here.ConvErr
	}
	for _, b := range answer.Text {
		if b == 0 { // it would be cut short, and the rest not looked at
			return pam.Here.ConvErr
		}
	}
	if into.text = s.library.cString(answer.Text); into.text == nil {
		return pam.Here.BufErr
	}
	return success
}

// forget overwrites and frees answers that PAM will not get.
func (s *speaker) forget(all []response) {
	for i := range all {
		if all[i].text == nil {
			continue
		}
		clear(unsafe.Slice((*byte)(all[i].text), len(goString(all[i].text, maxText))))
		s.library.free(all[i].text)
		all[i].text = nil
	}
}
