package main

import "crypto/rand"

// newID makes a random UUID.
func newID() [16]byte {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		panic(err) // the system has no randomness
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// requestID makes the id of a request, in the upper-case letters of the documentation.
func requestID() string {
	const digits = "0123456789ABCDEF"
	text := make([]byte, 0, 36)
	for i, b := range newID() {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text = append(text, '-')
		}
		text = append(text, digits[b>>4], digits[b&0x0f])
	}
	return string(text)
}
