"""What servers that greet in lines of text say of themselves: mail, files, news, chat, terminals."""
