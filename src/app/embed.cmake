# cmake -DOUT=file.c -DROOT=dir -DFILES=a;b -P embed.cmake
# Writes the files as one table of bytes, so that the program needs no data folder at run time.
set(text "#include \"resource.h\"\n\n")
set(table "const struct sx_resource sx_resources[] = {\n")
set(i 0)
string(REPLACE "|" ";" FILES "${FILES}")
foreach(file ${FILES})
  file(READ ${ROOT}/${file} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND text "static const unsigned char file_${i}[] = {${bytes}0x00};\n")
  string(APPEND table "    {\"${file}\", file_${i}, sizeof file_${i} - 1},\n")
  math(EXPR i "${i} + 1")
endforeach()
file(WRITE ${OUT} "${text}${table}    {0, 0, 0},\n};\n")
