echo a
( cd / ; pwd; false; echo no )
echo never
