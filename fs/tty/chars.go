package tty

// Classes of bytes. A terminal without IUTF8 speaks Latin-1, as Linux's does.

func isControl(c byte) bool { return c < 0x20 || c == 0x7f }

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' || 0xc0 <= c && c <= 0xde && c != 0xd7 }

func isLower(c byte) bool { return 'a' <= c && c <= 'z' || 0xdf <= c && c != 0xf7 }

func isWord(c byte) bool { return isUpper(c) || isLower(c) || '0' <= c && c <= '9' || c == '_' }

func toUpper(c byte) byte {
	if isLower(c) && c != 0xdf && c != 0xff {
		return c - 0x20
	}
	return c
}

func toLower(c byte) byte {
	if isUpper(c) {
		return c + 0x20
	}
	return c
}
