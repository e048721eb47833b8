module github.com/hardstand/hardstand/app

go 1.26
